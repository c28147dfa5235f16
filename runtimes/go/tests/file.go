package main

import (
	"log"
	"os"
)

func main() {
	text, err := os.ReadFile("data.txt")
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(text)
}
