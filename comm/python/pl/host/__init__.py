"""The host stage: embedded servers and a platform's processes on this machine, under supervisor.

``platform``   what a project says it consists of: programs and tasks
``postgresql`` ``valkey`` ``storage``   the embedded servers, as programs
``state``      the stage's private directory
``probes``     what readiness checks ask of a port
``supervisor`` the one that keeps programs running
``launch``     what each program is started through
``strays``     processes that lost their supervisor
``plan``       what would have to change
``stage``      bootstrap, deploy, status, logs, destroy
"""
