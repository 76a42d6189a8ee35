host "nas" {
  address = "192.0.2.5"
}
