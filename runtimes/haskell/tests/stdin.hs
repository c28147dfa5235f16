import qualified Data.ByteString as Bytes

main :: IO ()
main = do
  text <- Bytes.getContents
  putStrLn (show (Bytes.length text) ++ " bytes")
