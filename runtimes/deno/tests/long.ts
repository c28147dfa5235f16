for (let i = 0; i < 100000; i++) {
  console.log(123456789);
}
