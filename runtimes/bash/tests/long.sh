for i in {1..100000}; do
    echo 123456789
done
