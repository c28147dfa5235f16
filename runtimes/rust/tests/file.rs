use std::fs;

fn main() {
    print!("{}", fs::read_to_string("data.txt").unwrap());
}
