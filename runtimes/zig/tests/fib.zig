const std = @import("std");

var known = std.AutoHashMap(u32, u64).init(std.heap.page_allocator);

fn fib(n: u32) !u64 {
    if (known.get(n)) |value| return value;
    const value = if (n < 2) n else try fib(n - 1) + try fib(n - 2);
    try known.put(n, value);
    return value;
}

pub fn main() !void {
    defer known.deinit();
    const stdout = std.io.getStdOut().writer();
    for ([_]u32{ 10, 30, 90 }) |n| {
        try stdout.print("fib({d}) = {d}\n", .{ n, try fib(n) });
    }
}
