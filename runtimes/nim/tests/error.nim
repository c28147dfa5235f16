echo "never printed
