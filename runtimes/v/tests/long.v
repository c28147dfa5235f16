fn main() {
	for _ in 0 .. 100_000 {
		println(123456789)
	}
}
