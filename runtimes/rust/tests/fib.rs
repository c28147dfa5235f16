use std::collections::HashMap;

fn fib(n: u32, known: &mut HashMap<u32, u64>) -> u64 {
    if let Some(&value) = known.get(&n) {
        return value;
    }
    let value = if n < 2 { n.into() } else { fib(n - 1, known) + fib(n - 2, known) };
    known.insert(n, value);
    value
}

fn main() {
    let mut known = HashMap::new();
    for n in [10, 30, 90] {
        println!("fib({n}) = {}", fib(n, &mut known));
    }
}
