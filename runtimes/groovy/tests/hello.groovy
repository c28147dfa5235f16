println 'Hello, world!'
