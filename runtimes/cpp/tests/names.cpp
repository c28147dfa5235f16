extern "C" int puts(const char *);

int time = 0;

int main() {
    return puts("names of the library, declared here") < time;
}
