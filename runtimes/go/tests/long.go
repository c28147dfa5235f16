package main

import "fmt"

func main() {
	for range 100_000 {
		fmt.Println("123456789")
	}
}
