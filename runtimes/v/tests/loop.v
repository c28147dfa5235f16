fn main() {
	println('started')
	flush_stdout()
	for {
	}
}
