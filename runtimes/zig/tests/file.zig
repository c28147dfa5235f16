const std = @import("std");

pub fn main() !void {
    const allocator = std.heap.page_allocator;
    const text = try std.fs.cwd().readFileAlloc(allocator, "data.txt", 1 << 20);
    defer allocator.free(text);
    try std.io.getStdOut().writeAll(text);
}
