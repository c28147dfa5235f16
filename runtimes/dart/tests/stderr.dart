import 'dart:io';

void main() {
  stdout.writeln('to stdout');
  stderr.writeln('to stderr');
  exitCode = 3;
}
