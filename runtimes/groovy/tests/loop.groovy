println 'started'
while (true) {
}
