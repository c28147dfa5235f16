import Control.Monad (forever)
import Data.IORef (modifyIORef', newIORef)
import System.IO (hFlush, stdout)

main :: IO ()
main = do
  putStrLn "started"
  hFlush stdout
  turns <- newIORef (0 :: Int)
  forever (modifyIORef' turns (+ 1))
