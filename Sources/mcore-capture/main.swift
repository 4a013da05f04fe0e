print("mcore-capture")
