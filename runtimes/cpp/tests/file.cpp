#include <fstream>
#include <iostream>

int main() {
    std::ifstream file("data.txt");
    if (!file) {
        std::cerr << "data.txt is not there\n";
        return 1;
    }
    std::cout << file.rdbuf();
}
