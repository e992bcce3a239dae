#!/usr/bin/env python3
import os
import sys

sys.path.insert(0, os.environ["PAYLOAD"] + "/guest")
import lib

lib.check("python.plain", True, 'with "quotes" and é')
lib.figure("python.plain", "size_bytes", 4096)
