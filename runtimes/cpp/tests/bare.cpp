int main() {
    std::vector<std::string> words{"no", "header", "was", "included"};
    std::sort(words.begin(), words.end());
    for (const auto &word : words)
        std::cout << word << '\n';
}
