import 'dart:io';

void main() {
  print(Platform.environment['GREETING']);
}
