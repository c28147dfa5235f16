import os

fn main() {
	input := os.get_raw_lines_joined()
	println('${input.len} bytes')
}
