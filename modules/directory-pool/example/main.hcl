host "hv1" {
  address = "192.0.2.11"
}

host "hv2" {
  address = "192.0.2.12"
}

module "pool" {
  source = "../"
  name   = "guests"
  hosts  = [host.hv1, host.hv2]
  path   = "/srv/guests"
}

image "web" {
  volume = module.pool.volume
  format = "qcow2"
  size   = "1GiB"
}
