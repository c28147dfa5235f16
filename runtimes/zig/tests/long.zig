const std = @import("std");

pub fn main() !void {
    var buffered = std.io.bufferedWriter(std.io.getStdOut().writer());
    for (0..100_000) |_| {
        try buffered.writer().writeAll("123456789\n");
    }
    try buffered.flush();
}
