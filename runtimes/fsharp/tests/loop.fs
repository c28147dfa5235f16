let rec forever () = forever ()

printfn "started"
forever ()
