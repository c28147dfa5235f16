enum Colour { Red, Green = "green" }

namespace Geometry {
  export const sides = 4;
}

abstract class Shape {
  constructor(protected readonly size: number, public name = "shape") {}
  abstract area(): number;
}

function counted(method: () => number, context: ClassMethodDecoratorContext) {
  return function (this: Square): number {
    console.log(`calls ${String(context.name)}`);
    return method.call(this);
  };
}

class Square extends Shape {
  @counted
  area(): number {
    return this.size ** 2;
  }
}

const wrong: number = "a type error";
const square = new Square(3);
console.log(Colour[0], Colour.Green, Geometry.sides, square.area(), square!.name, wrong as unknown);
