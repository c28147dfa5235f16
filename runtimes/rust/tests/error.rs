fn main() {
    let text: u32 = "never printed";
    println!("{text}");
}
