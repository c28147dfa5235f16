package main

import "fmt"

var known = map[int]uint64{0: 0, 1: 1}

func fib(n int) uint64 {
	value, found := known[n]
	if !found {
		value = fib(n-1) + fib(n-2)
		known[n] = value
	}
	return value
}

func main() {
	for _, n := range []int{10, 30, 90} {
		fmt.Printf("fib(%d) = %d\n", n, fib(n))
	}
}
