void main() {
  for (var i = 0; i < 100000; i++) {
    print(123456789);
  }
}
