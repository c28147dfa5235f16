#include <iostream>

int main() {
    std::cout << "started" << std::endl;
    for (volatile bool forever = true; forever;)
        ;
}
