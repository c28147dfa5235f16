package main

import (
	"fmt"
	"io"
	"log"
	"os"
)

func main() {
	count, err := io.Copy(io.Discard, os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(count, "bytes")
}
