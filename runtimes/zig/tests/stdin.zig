const std = @import("std");

pub fn main() !void {
    const allocator = std.heap.page_allocator;
    const text = try std.io.getStdIn().readToEndAlloc(allocator, 1 << 20);
    defer allocator.free(text);
    try std.io.getStdOut().writer().print("{d} bytes\n", .{text.len});
}
