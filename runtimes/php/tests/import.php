<?php
require "greeting.php";

echo json_encode(["greeting" => mb_strtoupper(greet("world"))]), "\n";
