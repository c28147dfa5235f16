const std = @import("std");

pub fn main() !u8 {
    try std.io.getStdOut().writeAll("to stdout\n");
    try std.io.getStdErr().writeAll("to stderr\n");
    return 3;
}
