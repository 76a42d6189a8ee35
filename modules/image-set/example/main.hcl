host "hv1" {
  address = "192.0.2.11"
}

module "pool" {
  source = "../../directory-pool"
  name   = "guests"
  hosts  = [host.hv1]
  path   = "/srv/guests"
}

module "guests" {
  source = "../"
  volume = module.pool.volume
  images = {
    web = { size = "1GiB" }
    db  = { size = "2GiB", format = "raw", allocation = "falloc", mode = "0600" }
  }
}

output "paths" {
  value = module.guests.paths
}
