#include <iostream>

int main() {
    for (int i = 0; i < 100'000; i++)
        std::cout << "123456789\n";
}
