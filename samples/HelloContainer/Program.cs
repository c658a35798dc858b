System.Console.WriteLine("Hello, signed world!");
