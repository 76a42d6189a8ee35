host "hv1" {
  address = "192.0.2.11"
}

host "hv2" {
  address = "192.0.2.12"
}
