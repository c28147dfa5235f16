use std::io::{self, Read};

fn main() -> io::Result<()> {
    let mut text = String::new();
    println!("{} bytes", io::stdin().read_to_string(&mut text)?);
    Ok(())
}
