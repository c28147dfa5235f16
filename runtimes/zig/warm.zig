// Reaches the parts of the standard library that most programs use.
const std = @import("std");

pub fn main() !void {
    var heap = std.heap.GeneralPurposeAllocator(.{}){};
    defer _ = heap.deinit();
    var names = std.StringHashMap(std.ArrayList(u8)).init(heap.allocator());
    defer names.deinit();
    std.mem.sort(u8, @constCast(""), {}, std.sort.asc(u8));
    std.debug.print("{d}\n", .{names.count()});
    try std.io.getStdOut().writer().print("{s} {d}\n", .{ "words", std.math.sqrt(2.0) });
}
