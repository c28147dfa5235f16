[<EntryPoint>]
let main _ =
    printfn "to stdout"
    eprintfn "to stderr"
    3
