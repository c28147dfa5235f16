for ($i = 0; $i -lt 100000; $i++) {
    [Console]::WriteLine(123456789)
}
