printfn "never printed"
let x =
