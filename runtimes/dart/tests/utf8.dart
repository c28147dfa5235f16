void main() {
  print('Grüße, 世界 🌍');
}
