import System.Exit (ExitCode (ExitFailure), exitWith)
import System.IO (hPutStrLn, stderr)

main :: IO ()
main = do
  putStrLn "to stdout"
  hPutStrLn stderr "to stderr"
  exitWith (ExitFailure 3)
