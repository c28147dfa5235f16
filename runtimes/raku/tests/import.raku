use Greeting;

say greet("world");
