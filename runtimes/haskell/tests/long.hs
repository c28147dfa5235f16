import Control.Monad (replicateM_)

main :: IO ()
main = replicateM_ 100000 (putStrLn "123456789")
