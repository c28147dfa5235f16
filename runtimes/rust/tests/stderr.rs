use std::process::ExitCode;

fn main() -> ExitCode {
    println!("to stdout");
    eprintln!("to stderr");
    ExitCode::from(3)
}
