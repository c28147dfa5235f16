import 'dart:io';

void main() async {
  final count = await stdin.fold<int>(0, (total, bytes) => total + bytes.length);
  print('$count bytes');
}
