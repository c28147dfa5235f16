const std = @import("std");

pub fn main() !void {
    try std.io.getStdOut().writeAll("started\n");
    while (true) {
        std.atomic.spinLoopHint();
    }
}
