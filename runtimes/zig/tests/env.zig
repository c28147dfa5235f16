const std = @import("std");

pub fn main() !void {
    var arena = std.heap.ArenaAllocator.init(std.heap.page_allocator);
    defer arena.deinit();
    const greeting = try std.process.getEnvVarOwned(arena.allocator(), "GREETING");
    try std.io.getStdOut().writer().print("{s}\n", .{greeting});
}
